"""Which steps after a network help, class by class: measured on cases that it never saw."""
