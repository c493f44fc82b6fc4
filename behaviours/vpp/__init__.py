"""Virtual power plants: forming, operating and dissolving them among equals (SPEC 5.3)."""
