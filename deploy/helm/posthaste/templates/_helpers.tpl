{{- define "posthaste.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "posthaste.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "posthaste.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "posthaste.selector" . }}
{{- end -}}

{{- define "posthaste.secretName" -}}
{{ default (include "posthaste.fullname" .) .Values.existingSecret }}
{{- end -}}

{{- define "posthaste.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "posthaste.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "posthaste.image" -}}
{{- $repository := required "image.repository is missing: the image that was built from the Dockerfile, such as registry.example.com/posthaste." .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Of how many processes a deployment is at most. */}}
{{- define "posthaste.gatewayCount" -}}
{{- $pods := ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled | int -}}
{{ .count | default (mul $pods (.processes | int)) }}
{{- end -}}

{{- define "posthaste.processorCount" -}}
{{ .count | default (ternary .replicas .autoscaling.maxReplicas (eq .autoscaling.kind "none")) }}
{{- end -}}
