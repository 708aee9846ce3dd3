"""load: YAML files, the environment and options become one checked config. `config.py` is the way in."""
