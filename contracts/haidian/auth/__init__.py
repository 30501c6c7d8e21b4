"""认证链: that an identity check happened, never what was seen."""
