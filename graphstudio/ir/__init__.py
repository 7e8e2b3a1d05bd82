"""The checked graph: types on every port, problems with their places, and an order to run in."""
