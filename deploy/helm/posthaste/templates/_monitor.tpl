{{/* A Service of one kind of pod. Takes root, component, port and service (its values). */}}
{{- define "posthaste.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "posthaste.labels" . | nindent 4 }}
  {{- with .service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq .service.type "None" }}
  # Nobody calls it but what measures.
  clusterIP: None
  {{- else }}
  type: {{ .service.type }}
  {{- end }}
  selector:
    {{- include "posthaste.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ .service.port }}, targetPort: http }
{{- end -}}

{{- define "posthaste.serviceMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ .name }}
  labels:
    {{- include "posthaste.labels" . | nindent 4 }}
    {{- with .root.Values.monitoring.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "posthaste.selector" . | nindent 6 }}
  endpoints:
    - { port: http, path: /metrics, interval: {{ .root.Values.monitoring.serviceMonitor.interval }} }
{{- end -}}

{{- define "posthaste.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  labels:
    {{- include "posthaste.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .own.disruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "posthaste.selector" . | nindent 6 }}
{{- end -}}
