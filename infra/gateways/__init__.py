"""Payment gateways behind one protocol: the outside world that moves money."""
