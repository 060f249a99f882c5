"""Tasks: what answers are for. Each gives the figures of a candidate's answers beside the reference's."""
