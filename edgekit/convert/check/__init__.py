"""The check: every file is run against the model that it was made of before it is handed over."""
