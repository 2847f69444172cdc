"""What `benches/compare` is made of: `machine` installs and builds, `servers` starts, `cases` measures, `trust` makes what is
to be trusted, `report` prints."""
