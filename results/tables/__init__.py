"""The paper's tables, from run directories and from measurements."""
