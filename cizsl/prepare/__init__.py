"""Making datasets from raw material: articles, images, class names."""
