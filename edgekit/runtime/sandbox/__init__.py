"""The sandbox: a child that reads files of others, held by limits and by what its kernel offers."""
