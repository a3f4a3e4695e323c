"""The gateway: an Envoy process for each service leads requests to its groups of replicas."""
