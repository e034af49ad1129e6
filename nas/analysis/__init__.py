"""What is worked out beside a search: a preview before it, redundancy and confirmation after it."""
