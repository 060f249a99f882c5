"""Set-up: is what the files are compared with sane itself? Needs numpy only.

A file that follows a reference in every answer has proved nothing where the reference was given
wrong inputs or wrong labels. So the reference is judged first, and then whether each file, and the
samples that it was made with, belong to it.
"""
