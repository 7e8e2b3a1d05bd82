"""The node editor: a projection of the document on a QGraphicsView, and the gestures on it."""
