"""What can be measured of engines, proxies and the database they share, in Prometheus' form."""
