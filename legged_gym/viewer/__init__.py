"""Shows robots: a web page, a window and films draw the same `View`; nothing here knows an engine."""
