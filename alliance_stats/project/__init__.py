"""A ready folder for a study of one's own."""

from alliance_stats.project.start import new_project as new_project
