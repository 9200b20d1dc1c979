{{/* The name of everything: the release, with "tocsin" in it; room is left for the role. */}}
{{- define "tocsin.name" -}}
{{- if contains "tocsin" .Release.Name -}}
{{- .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-tocsin" .Release.Name | trunc 42 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of one role: takes the chart's context and the role's name. */}}
{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .context.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{/* Labels of one role's objects. */}}
{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tocsin
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tocsin.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* How a role is scaled: "queue", "cpu" or "no". */}}
{{- define "tocsin.scaledBy" -}}
{{- if not (and .context.Values.autoscaling.enabled .role.scale) -}}
no
{{- else if and .context.Values.autoscaling.keda.enabled .role.queue -}}
queue
{{- else -}}
cpu
{{- end -}}
{{- end -}}
