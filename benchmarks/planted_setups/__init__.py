"""Set-ups with real data and trained networks, one of each kind of task, and the slips that are planted in them."""
