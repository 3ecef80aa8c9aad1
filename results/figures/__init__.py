"""The paper's figures, from run directories."""
