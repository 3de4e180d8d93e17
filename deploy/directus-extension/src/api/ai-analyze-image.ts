import { defineOperationApi } from '@directus/extensions-sdk';
import { aiOperation } from './ai.ts';

export default defineOperationApi(aiOperation('ai-analyze-image'));
