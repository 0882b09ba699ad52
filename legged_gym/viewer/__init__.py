"""What one sees of the robots: a web page, a window and films draw the same `View`; nothing here knows an engine."""
