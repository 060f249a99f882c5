"""Heal: a quantised file mended where its bytes lie, each remedy kept only if it helps."""
