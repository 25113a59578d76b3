"""JSON on the wire: one struct per body, named as Docker names them."""
