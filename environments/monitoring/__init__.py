"""The DSO's monitoring system by HTTP and MQTT: clients behind the port, and an emulated system."""

from environments.monitoring.frames import MeasurementFrame, frame_from, measurement_from
from environments.monitoring.http_client import HttpMonitoring
from environments.monitoring.http_server import MonitoringServer
from environments.monitoring.intake import Intake
from environments.monitoring.mqtt_client import MqttMonitoring
from environments.monitoring.mqtt_publisher import MeasurementPublisher

__all__ = [
    "HttpMonitoring",
    "Intake",
    "MeasurementFrame",
    "MeasurementPublisher",
    "MonitoringServer",
    "MqttMonitoring",
    "frame_from",
    "measurement_from",
]
