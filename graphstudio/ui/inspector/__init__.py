"""The inspector: forms generated from what nodes, data sources and optimisers declare."""
