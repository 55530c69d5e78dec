"""Published results, shown beside a study's own."""
