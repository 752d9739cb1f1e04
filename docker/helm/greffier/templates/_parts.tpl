{{- define "greffier.name" -}}
{{- printf "%s-%s" .Release.Name .part | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "greffier.selector" -}}
app.kubernetes.io/name: greffier
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "greffier.labels" -}}
{{ include "greffier.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "greffier.image" -}}
{{ .Values.image.repository }}:{{ if .of.gpu }}{{ .Values.image.gpu }}{{ else }}{{ .Values.image.cpu }}{{ end }}
{{- end }}

{{/* What a container may do: nothing but its work, and writing in three folders. */}}
{{- define "greffier.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "greffier.environment" -}}
envFrom:
  - configMapRef: { name: {{ .Release.Name }}-settings }
  - secretRef: { name: {{ .Values.existingSecret }} }
env:
  - { name: GREFFIER_HOST, value: 0.0.0.0 }
  - { name: GREFFIER_PORT, value: {{ .port | quote }} }
  {{- range $name, $text := .of.settings }}
  - { name: {{ $name }}, value: {{ $text | quote }} }
  {{- end }}
  {{- range $name, $text := .more }}
  - { name: {{ $name }}, value: {{ $text | quote }} }
  {{- end }}
{{- end }}

{{- define "greffier.folders" -}}
- { name: home, mountPath: /var/lib/greffier }
- { name: cache, mountPath: /var/cache/greffier }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{/* One deployment: of a part, with its values as .of, its command, its port, and whether it has an engine. */}}
{{- define "greffier.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "greffier.name" . }}
  labels: {{- include "greffier.labels" . | nindent 4 }}
spec:
  {{- if not .scales }}
  replicas: {{ .of.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- include "greffier.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    {{- if .host }}
    # The node's port is taken until the old one is gone.
    rollingUpdate: { maxSurge: 0, maxUnavailable: 1 }
    {{- else }}
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
    {{- end }}
  template:
    metadata:
      labels: {{- include "greffier.labels" . | nindent 8 }}
      annotations:
        checksum/settings: {{ toYaml .Values.settings | sha256sum }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .of.terminationGracePeriodSeconds }}
      {{- if .host }}
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      {{- end }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .of.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .of.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: { type: RuntimeDefault }
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "greffier.selector" . | nindent 14 }}
      {{- if .engine }}
      initContainers:
        - name: weights
          image: {{ include "greffier.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command: [python, -m, models.weights, --cache, /var/cache/greffier]
          args: [{{ get .of.settings "GREFFIER_MODEL" | default (get .Values.settings "GREFFIER_MODEL") | default "whisper-base" | quote }}]
          securityContext: {{- include "greffier.confined" . | nindent 12 }}
          resources:
            requests: { cpu: 100m, memory: 256Mi }
            limits: { memory: 1Gi }
          volumeMounts: {{- include "greffier.folders" . | nindent 12 }}
      {{- end }}
      containers:
        - name: {{ .part }}
          image: {{ include "greffier.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args: {{ .command | toJson }}
          {{- include "greffier.environment" . | nindent 10 }}
          ports:
            - { name: http, containerPort: {{ .port }}{{ if .host }}, hostPort: {{ .port }}{{ end }} }
          # Until it is ready for the first time: a model is read and, once on each kind of machine, measured.
          startupProbe:
            httpGet: { path: /readyz, port: http }
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: {{ if .engine }}450{{ else }}60{{ end }}
          livenessProbe:
            httpGet: { path: /healthz, port: http }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: { path: /readyz, port: http }
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          {{- if not .engine }}
          # Nobody new is sent here any more when it begins to stop.
          lifecycle:
            preStop: { exec: { command: [sleep, "5"] } }
          {{- end }}
          securityContext: {{- include "greffier.confined" . | nindent 12 }}
          resources:
            {{- $resources := deepCopy .of.resources }}
            {{- if .of.gpu }}
            {{- $resources = mergeOverwrite $resources (dict "limits" (dict "nvidia.com/gpu" 1)) }}
            {{- end }}
            {{- toYaml $resources | nindent 12 }}
          volumeMounts: {{- include "greffier.folders" . | nindent 12 }}
      volumes:
        - { name: home, emptyDir: {} }
        - { name: tmp, emptyDir: {} }
        {{- if and .engine .Values.weights.existingClaim }}
        - { name: cache, persistentVolumeClaim: { claimName: {{ .Values.weights.existingClaim }} } }
        {{- else if .engine }}
        - { name: cache, emptyDir: { sizeLimit: {{ .Values.weights.size }} } }
        {{- else }}
        - { name: cache, emptyDir: {} }
        {{- end }}
{{- end }}

{{- define "greffier.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "greffier.name" . }}
  labels: {{- include "greffier.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "greffier.selector" . | nindent 6 }}
{{- end }}

{{- define "greffier.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "greffier.name" . }}
  labels: {{- include "greffier.labels" . | nindent 4 }}
spec:
  selector: {{- include "greffier.selector" . | nindent 4 }}
  ports:
    - { name: http, port: 80, targetPort: http }
{{- end }}
