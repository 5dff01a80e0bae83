{{/* The environment: values first, then secrets, then further settings. Takes root, component and port. */}}
{{- define "posthaste.env" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $isEmbedded := eq $values.mode "embedded" -}}
- { name: HOST, value: {{ $values.host | quote }} }
- { name: {{ ternary "PROCESSOR_PORT" "PORT" (eq .component "processor") }}, value: {{ .port | quote }} }
- { name: STOP_NOTICE_S, value: {{ $values.stopNoticeSeconds | quote }} }
{{- if $isEmbedded }}
- { name: POSTHASTE_DATA, value: /data }
{{- else }}
- { name: GATEWAY_PROCESSES, value: {{ ternary $values.gateway.processes 1 (eq .component "gateway") | quote }} }
- { name: GATEWAY_COUNT, value: {{ include "posthaste.gatewayCount" $values.gateway | quote }} }
- { name: PROCESSOR_COUNT, value: {{ include "posthaste.processorCount" $values.processor | quote }} }
{{- with $values.redis }}
{{- if .shards }}
- { name: REDIS_SHARDS, value: {{ .shards | quote }} }
{{- end }}
{{- if .prefix }}
- { name: REDIS_PREFIX, value: {{ .prefix | quote }} }
{{- end }}
- { name: REDIS_SPOOL_MIB, value: {{ .spoolMib | quote }} }
{{- end }}
{{- with $values.kafka }}
- { name: KAFKA_BROKERS, value: {{ required "kafka.brokers is missing: host:port,host:port of the Kafka that gateways and processors share." .brokers | quote }} }
- { name: KAFKA_TLS, value: {{ .tls | quote }} }
{{- if .saslMechanism }}
- { name: KAFKA_SASL_MECHANISM, value: {{ .saslMechanism | quote }} }
{{- end }}
- { name: KAFKA_PREFIX, value: {{ .prefix | quote }} }
- { name: KAFKA_PARTITIONS, value: {{ .partitions | quote }} }
- { name: KAFKA_REPLICATION, value: {{ .replication | quote }} }
- { name: KAFKA_MIN_ISR, value: {{ .minIsr | quote }} }
- { name: KAFKA_RETENTION_DAYS, value: {{ .retentionDays | quote }} }
{{- end }}
{{- end }}
{{- if $values.caCerts.existingConfigMap }}
- { name: NODE_EXTRA_CA_CERTS, value: /ca/{{ $values.caCerts.key }} }
{{- end }}
{{- if include "posthaste.hasPortalLogo" . }}
- { name: PORTAL_LOGO, value: /portal-logo/{{ $values.portalLogo.key }} }
{{- end }}
{{- $needed := ternary (list) (list "POSTHASTE_MASTER_KEY" "REDIS_URL") $isEmbedded }}
{{- $optional := ternary (list "POSTHASTE_MASTER_KEY") (list "REDIS_CACHE_URL") $isEmbedded }}
{{- if and (not $isEmbedded) $values.kafka.saslMechanism }}
{{- $needed = concat $needed (list "KAFKA_SASL_USERNAME" "KAFKA_SASL_PASSWORD") }}
{{- end }}
{{- range $needed }}
- name: {{ . }}
  valueFrom: { secretKeyRef: { name: {{ include "posthaste.secretName" $root }}, key: {{ . }} } }
{{- end }}
{{- range concat $optional (list "POSTHASTE_OPERATOR_KEY" "POSTHASTE_MASTER_KEY_PREVIOUS" "POSTHASTE_MASTER_KEY_NEXT") }}
- name: {{ . }}
  valueFrom: { secretKeyRef: { name: {{ include "posthaste.secretName" $root }}, key: {{ . }}, optional: true } }
{{- end }}
{{- range $name, $value := $values.settings }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end -}}

{{/* Of what serves the portal: not a processor. Takes root and component. */}}
{{- define "posthaste.hasPortalLogo" -}}
{{- if and .root.Values.portalLogo.existingConfigMap (ne .component "processor") -}}yes{{- end -}}
{{- end -}}

{{/* Metadata and spec of a pod. Takes root, component, program, port, own (the component's values) and volumes. */}}
{{- define "posthaste.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
metadata:
  labels:
    {{- include "posthaste.selector" . | nindent 4 }}
  annotations:
    # Another secret is another pod. What is in a Secret of yours the chart does not see.
    {{- if not $values.existingSecret }}
    checksum/secret: {{ $values.secrets | toJson | sha256sum }}
    {{- end }}
    {{- with .own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "posthaste.serviceAccountName" $root }}
  automountServiceAccountToken: false
  # Kubernetes' own variables for services look like settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: {{ .component }}
      image: {{ include "posthaste.image" $root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: [{{ .program | quote }}]
      ports:
        - { name: http, containerPort: {{ .port }} }
      env:
        {{- include "posthaste.env" . | nindent 8 }}
      # A start may bring a database up to date, or wait for its stores.
      startupProbe:
        httpGet: { path: /livez, port: http }
        periodSeconds: 5
        timeoutSeconds: 4
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /livez, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # Not ready is no reason to start again: it is taken out of the Service until it is.
      readinessProbe:
        httpGet: { path: /readyz, port: http }
        periodSeconds: 2
        timeoutSeconds: 4
        failureThreshold: 2
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources:
        {{- toYaml .own.resources | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if eq .component "embedded" }}
        - { name: data, mountPath: /data }
        {{- end }}
        {{- if $values.caCerts.existingConfigMap }}
        - { name: ca, mountPath: /ca, readOnly: true }
        {{- end }}
        {{- if include "posthaste.hasPortalLogo" . }}
        - { name: portal-logo, mountPath: /portal-logo, readOnly: true }
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 64Mi }
    {{- if $values.caCerts.existingConfigMap }}
    - name: ca
      configMap: { name: {{ $values.caCerts.existingConfigMap | quote }} }
    {{- end }}
    {{- if include "posthaste.hasPortalLogo" . }}
    - name: portal-logo
      configMap: { name: {{ $values.portalLogo.existingConfigMap | quote }} }
    {{- end }}
  {{- with $values.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - topologyKey: {{ .topologyKey }}
      maxSkew: {{ .maxSkew | default 1 }}
      whenUnsatisfiable: {{ .whenUnsatisfiable | default "ScheduleAnyway" }}
      labelSelector:
        matchLabels:
          {{- include "posthaste.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- range $name := list "nodeSelector" "tolerations" "affinity" }}
  {{- with index $.own $name }}
  {{ $name }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
