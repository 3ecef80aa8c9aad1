"""Configuration: strict YAML files, `base:` inheritance and dotted overrides."""
