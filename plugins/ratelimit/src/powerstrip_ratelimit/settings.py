"""What an operator can set."""

from powerstrip import PluginSettings


class RatelimitSettings(PluginSettings):
    """Settings of the plugin `ratelimit`."""
