"""Statement rows → files. What the rows say is decided before; here nothing is computed and nothing is lost."""
