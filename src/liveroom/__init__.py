"""liveroom: the business backend for interactive live rooms."""

__version__ = "0.1.0"
