"""SunSpec devices over Modbus TCP: inverters, batteries and meters, found by their chain of models."""
