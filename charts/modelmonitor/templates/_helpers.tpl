{{- define "modelmonitor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Prefix of the names of all objects, short enough for suffixes within 63 characters. */}}
{{- define "modelmonitor.fullname" -}}
{{- $name := include "modelmonitor.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "modelmonitor.selectorLabels" -}}
app.kubernetes.io/name: {{ include "modelmonitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelmonitor.labels" -}}
{{ include "modelmonitor.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: modelmonitor
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "modelmonitor.serviceAccountName" -}}
{{- default (ternary (include "modelmonitor.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- /* An image from its parts: (dict "image" .Values.image "context" $). The digest takes precedence over the tag. */}}
{{- define "modelmonitor.image" -}}
{{- with .image.registry }}{{ . }}/{{ end }}
{{- .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .context.Chart.AppVersion .image.tag }}{{ end }}
{{- end }}

{{- define "modelmonitor.pullSecretNames" -}}
{{- range $index, $secret := .Values.imagePullSecrets }}{{ if $index }},{{ end }}{{ $secret.name }}{{ end }}
{{- end }}

{{- /* The managed namespaces as JSON; an empty list means all. Both WATCH_NAMESPACES and the Roles are derived from this, so
they cannot differ. */}}
{{- define "modelmonitor.namespaces" -}}
{{- if and .Values.watchAllNamespaces .Values.watchNamespaces }}
{{- fail "watchAllNamespaces and watchNamespaces exclude each other; remove one of them" }}
{{- end }}
{{- ternary list (default (list .Release.Namespace) .Values.watchNamespaces) .Values.watchAllNamespaces | toJson }}
{{- end }}

{{- /* The operator's permissions in a namespace that it manages: no wildcards, and no access to Secrets, logs or exec. */}}
{{- define "modelmonitor.rules" -}}
- apiGroups: [modelmonitor.io]
  resources: [modelmonitors]
  verbs: [get, list, watch]
- apiGroups: [modelmonitor.io]
  resources: [modelmonitors/status]
  verbs: [patch]
# OpenShift requires this to create objects owned by a ModelMonitor; the operator never sets finalizers.
- apiGroups: [modelmonitor.io]
  resources: [modelmonitors/finalizers]
  verbs: [update]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch]
- apiGroups: [batch]
  resources: [jobs]
  # A Job that has not started is deleted when the spec that it was created for has changed.
  verbs: [get, list, watch, create, delete]
{{- if .Values.rollouts.enabled }}
# spec.promotion.rollout updates the environment of Deployments.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, patch]
{{- end }}
# The result of a Job is the termination message of its pod.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# Events about a Job name the quota or the policy that refuses its pods.
- apiGroups: [""]
  resources: [events]
  verbs: [create, list]
{{- end }}

{{- /* The permissions of the pages: monitors, and nothing else. */}}
{{- define "modelmonitor.uiRules" -}}
- apiGroups: [modelmonitor.io]
  resources: [modelmonitors]
  verbs: [get, list]
{{- end }}
