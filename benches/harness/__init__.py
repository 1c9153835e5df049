"""What the comparisons share: servers in their place, loads, and how figures of rounds are put into words and pictures."""
