"""Bundle: the files of one export with their proof, as one folder or archive that can be signed, verified, tried
on the device and installed."""
