"""The point-foot biped's tasks."""
