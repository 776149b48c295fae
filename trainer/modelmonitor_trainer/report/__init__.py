"""Pages that people read: of a check, of a comparison, of a model."""
