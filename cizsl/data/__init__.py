"""Reading, checking and writing datasets on disk."""
