"""Where trials run: Ray, its workers, one machine or many. Nothing else here knows Ray."""
