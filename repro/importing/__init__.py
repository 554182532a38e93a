"""Published tables and what libraries say, turned into files of published numbers."""
