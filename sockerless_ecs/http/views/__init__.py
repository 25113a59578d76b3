"""Model values into what Docker shows of them."""
