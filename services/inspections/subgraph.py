"""The service object on which the modules of this folder declare; `service` imports them all."""

from services.kit.service import Service

service = Service("inspections")
