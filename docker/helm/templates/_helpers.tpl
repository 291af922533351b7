{{- define "headrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "headrace.fullname" -}}
{{- $name := include "headrace.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "part" "gateway") */}}
{{- define "headrace.selector" -}}
app.kubernetes.io/name: {{ include "headrace.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "headrace.labels" -}}
{{ include "headrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.gateway.image) */}}
{{- define "headrace.image" -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}

{{- define "headrace.runtimeImage" -}}
{{- $image := .Values.runtime.image -}}
{{- if and (gt (int .Values.runtime.gpus) 0) (eq $image.repository "headrace-runtime") -}}
{{- $image = merge (dict "repository" "headrace-runtime-cuda") $image -}}
{{- end -}}
{{- include "headrace.image" (dict "root" . "image" $image) -}}
{{- end -}}

{{- define "headrace.modelsClaim" -}}
{{- default (printf "%s-models" (include "headrace.fullname" .)) .Values.models.existingClaim -}}
{{- end -}}

{{/* Each runtime by the name of its pod: a gateway chooses itself whom it asks. */}}
{{- define "headrace.runtimeUrls" -}}
{{- $name := printf "%s-runtime" (include "headrace.fullname" .) -}}
{{- $count := int .Values.runtime.replicas -}}
{{- if .Values.keda.enabled -}}{{- $count = max $count (int .Values.keda.maxReplicas) -}}{{- end -}}
{{- range $index := until (int $count) -}}
{{- if $index }},{{ end -}}
http://{{ $name }}-{{ $index }}.{{ $name }}:8090
{{- end -}}
{{- end -}}

{{/* Longer than what happens before and while a process drains: (dict "root" $ "before" 10) */}}
{{- define "headrace.gracePeriod" -}}
{{- $drainMs := int (default "30000" (index .root.Values.settings "HEADRACE_DRAIN_MS")) -}}
{{- add .before (div (add $drainMs 999) 1000) 15 -}}
{{- end -}}

{{- define "headrace.settings" -}}
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end -}}

{{/* (list "DATABASE_URL" …): where the files of the secret are */}}
{{- define "headrace.secretFiles" -}}
{{- range . }}
- { name: {{ . }}_FILE, value: /run/secrets/headrace/{{ . }} }
{{- end }}
{{- end -}}

{{/* (dict "root" $ "keys" (list …)) */}}
{{- define "headrace.secretVolume" -}}
name: secrets
secret:
  secretName: {{ .root.Values.existingSecret }}
  defaultMode: 0440
  items:
  {{- range .keys }}
    - { key: {{ . }}, path: {{ . }} }
  {{- end }}
{{- end -}}

{{- define "headrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What every pod has. */}}
{{- define "headrace.podDefaults" -}}
automountServiceAccountToken: false
# Else the address of a service would be in variables such as HEADRACE_GATEWAY_PORT, which are no settings.
enableServiceLinks: false
{{- with .Values.serviceAccount.name }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* Where pods run: (dict "root" $ "part" .Values.gateway "name" "gateway") */}}
{{- define "headrace.placement" -}}
{{- with .part.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "headrace.selector" (dict "root" .root "part" .name) | nindent 8 }}
{{- end -}}
