"""The main job: property transfers from a file, driven through a district's departments."""
