"""What tools measured, as frozen dataclasses, and its rendering."""
