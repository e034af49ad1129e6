"""A search as a report for people and papers: Markdown, figures, LaTeX, the front's files."""
