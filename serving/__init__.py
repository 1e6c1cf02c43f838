"""A folder of SavedModels in, TF Serving's protocol out. Imports nothing of the other packages."""
