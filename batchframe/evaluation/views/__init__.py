"""Views: an evaluation as tables, as text, as a plot, as a report and to click through."""
